# Encrypts, decrypts and makes data keys by `secretum kms`, as values of Nushell.
#
#     use kms.nu
#     "secret" | kms encrypt --context {env: prod} | save secret.enc
#     open --raw secret.enc | kms decrypt --context {env: prod}
#
# Which key service does it stands in kms.toml, or is a kms-service: `--service`, or KMS_SERVICE_ADDR in
# the environment. The token and certificates for one come from KMS_SERVICE_TOKEN_FILE,
# KMS_SERVICE_CACERT, KMS_SERVICE_CLIENT_CERT and KMS_SERVICE_CLIENT_KEY. SECRETUM_BIN names the binary,
# where it is not `secretum` in the path.

# Runs a command of the binary with what came through the pipeline; gives its output as it is.
def call [...arguments: string]: any -> any {
    let input = $in
    let binary = $env.SECRETUM_BIN? | default "secretum"
    let done = $input | ^$binary kms ...$arguments | complete
    if $done.exit_code != 0 {
        error make --unspanned {msg: ($done.stderr | str trim)}
    }
    $done.stdout
}

# Runs a command of the binary; gives its answer as a record.
def ask [...arguments: string]: any -> record {
    $in | call ...$arguments "-format=json" | from json
}

# The flags that say which key service.
def place [config?: path, backend?: string, service?: string]: nothing -> list<string> {
    [[config $config] [backend $backend] [service $service]]
    | where {|flag| $flag.1 != null }
    | each {|flag| $"-($flag.0)=($flag.1)" }
}

# A flag with its value, where it has one.
def flag [name: string, value?: any]: nothing -> list<string> {
    if $value == null { [] } else { [$"-($name)=($value)"] }
}

# The flags of a context: a record, a text as key=value,key=value, or a list of these.
def context [name: string, value?: any]: nothing -> list<string> {
    match ($value | describe --detailed | get type) {
        "nothing" => [],
        "record" => [$"-($name)=($value | texts | to json --raw)"],
        "list" => ($value | each {|one| context $name $one } | flatten),
        _ => [$"-($name)=($value)"],
    }
}

# A record with its values as texts.
def texts []: record -> record {
    transpose key value
    | reduce --fold {} {|pair, all| $all | insert $pair.key ($pair.value | into string) }
}

# A ciphertext as it comes: text, binary, or the record of `kms generate-key`.
def ciphertext []: any -> any {
    let input = $in
    if ($input | describe --detailed | get type) == "record" { $input.ciphertext } else { $input }
}

# Bytes as text, where they are text.
def readable []: binary -> any {
    let bytes = $in
    # What is no text is decoded to something else.
    let text = $bytes | decode utf-8
    if ($text | encode utf-8) == $bytes { $text } else { $bytes }
}

# Encrypts a text or binary of up to 16 MiB; gives the ciphertext as text in base64.
export def encrypt [
    --key: string # Key to encrypt under
    --context: any # What it is bound to: a record, or key=value,key=value
    --binary # Give the bytes of the ciphertext
    --native # Give the key service's own form, as an age file
    --config: path # File that names the key service
    --backend: string # Key service of that file to use
    --service: string # Address of a kms-service
]: [string -> any, binary -> any] {
    let input = $in
    let form = if $native { ["-native"] } else if $binary { ["-binary"] } else { [] }
    let arguments = [
        encrypt ...(flag key $key) ...(context context $context) ...$form -format=table
        ...(place $config $backend $service)
    ]
    let made = $input | call ...$arguments
    if ($native or $binary) { $made | into binary } else { $made | str trim }
}

# Decrypts what `kms encrypt` made; gives text where it is text, else binary.
export def decrypt [
    --key: string # Key that it must be encrypted under
    --context: any # What it is bound to: a record, or key=value,key=value
    --binary # Give binary, text too
    --native # Take the key service's own form, as an age file
    --config: path # File that names the key service
    --backend: string # Key service of that file to use
    --service: string # Address of a kms-service
]: [string -> any, binary -> any, record -> any] {
    let input = $in | ciphertext
    let form = if $native { ["-native"] } else { [] }
    let arguments = [
        decrypt ...(flag key $key) ...(context context $context) ...$form
        ...(place $config $backend $service)
    ]
    let plaintext = $input | ask ...$arguments | get plaintext | decode base64
    if $binary { $plaintext } else { $plaintext | readable }
}

# Makes a data key; gives a record with `plaintext` as binary and `ciphertext`, to be kept.
export def generate-key [
    --key-spec: string # AES_128, AES_256, or a number of bytes
    --key: string # Key to wrap it under
    --context: any # What it is bound to: a record, or key=value,key=value
    --without-plaintext # Make the wrapped key only
    --config: path # File that names the key service
    --backend: string # Key service of that file to use
    --service: string # Address of a kms-service
]: nothing -> record {
    let only = if $without_plaintext { ["-without-plaintext"] } else { [] }
    let made = ask generate-key ...(flag key-spec $key_spec) ...(flag key $key) ...(context context $context) ...$only ...(place $config $backend $service)
    if $without_plaintext { $made } else { $made | update plaintext {|it| $it.plaintext | decode base64 } }
}

# Opens a wrapped data key; gives its bytes.
export def decrypt-key [
    --key: string # Key that it must be wrapped under
    --context: any # What it is bound to: a record, or key=value,key=value
    --config: path # File that names the key service
    --backend: string # Key service of that file to use
    --service: string # Address of a kms-service
]: [string -> binary, binary -> binary, record -> binary] {
    let input = $in | ciphertext
    let arguments = [
        decrypt-key ...(flag key $key) ...(context context $context)
        ...(place $config $backend $service)
    ]
    $input | ask ...$arguments | get plaintext | decode base64
}

# Encrypts a ciphertext anew: under the newest version of its key, another key or another context.
export def re-encrypt [
    --context: any # What it is bound to: a record, or key=value,key=value
    --new-key: string # Key to encrypt under from now on
    --new-context: any # What it is bound to from now on
    --config: path # File that names the key service
    --backend: string # Key service of that file to use
    --service: string # Address of a kms-service
]: [string -> any, binary -> any, record -> any] {
    let input = $in | ciphertext
    let arguments = [
        re-encrypt ...(context context $context) ...(flag new-key $new_key)
        ...(context new-context $new_context) ...(place $config $backend $service)
    ]
    let made = $input | call ...$arguments
    if ($input | describe) == "string" { $made | str trim } else { $made | into binary }
}

# Gives a ciphertext as the key service itself made it: of `age` without a context an age file. On the command
# line this is `kms export -native`; a module of Nushell cannot have a command of that name.
export def export-native []: [string -> binary, binary -> binary, record -> binary] {
    $in | ciphertext | call export "-native" | into binary
}

# Encrypts a file of any size; gives a record with the name of the new one.
export def encrypt-file [
    file: path # File to encrypt
    --out: path # File to write, FILE.kms where none is named
    --force # Put it in the place of a file that is there
    --key: string # Key to encrypt under
    --context: any # What it is bound to: a record, or key=value,key=value
    --config: path # File that names the key service
    --backend: string # Key service of that file to use
    --service: string # Address of a kms-service
]: nothing -> record {
    let over = if $force { ["-force"] } else { [] }
    ask encrypt-file $"-in=($file)" ...(flag out $out) ...$over ...(flag key $key) ...(context context $context) ...(place $config $backend $service)
}

# Decrypts a file of `kms encrypt-file`; gives a record with the name of the new one.
export def decrypt-file [
    file: path # File to decrypt
    --out: path # File to write, FILE without .kms where none is named
    --force # Put it in the place of a file that is there
    --context: any # What it is bound to: a record, or key=value,key=value
    --config: path # File that names the key service
    --backend: string # Key service of that file to use
    --service: string # Address of a kms-service
]: nothing -> record {
    let over = if $force { ["-force"] } else { [] }
    ask decrypt-file $"-in=($file)" ...(flag out $out) ...$over ...(context context $context) ...(place $config $backend $service)
}

# Makes a key where kms.toml has its keys; gives a record with it.
export def create-key [
    --key: string # Name of the key; with age there is none
    --config: path # File that names the key service
    --backend: string # Key service of that file to use
]: nothing -> record {
    ask create-key ...(flag key $key) ...(place $config $backend)
}

# Adds a version to a key; gives a record with it.
export def rotate [
    --key: string # Key to rotate
    --config: path # File that names the key service
    --backend: string # Key service of that file to use
    --service: string # Address of a kms-service
]: nothing -> record {
    ask rotate ...(flag key $key) ...(place $config $backend $service)
}

# Tells which key service is used, its key, and what it can do.
export def status [
    --config: path # File that names the key service
    --backend: string # Key service of that file to use
    --service: string # Address of a kms-service
]: nothing -> record {
    ask status ...(place $config $backend $service)
}

# Asks whether the key service serves.
export def health [
    --config: path # File that names the key service
    --backend: string # Key service of that file to use
    --service: string # Address of a kms-service
]: nothing -> record {
    ask health ...(place $config $backend $service)
}

# Encrypts a tree of files anew, from one key service to another; gives a record of what was done
# and what is left; an error where it was stopped.
export def migrate [
    tree: path # Folder with the files
    --from: string # kms.toml, kms.toml:NAME, NAME or an address
    --to: string # The same, of the new key service
    --key: string # Key to encrypt under from now on
    --context: any # What they are bound to: a record, or key=value,key=value
    --new-context: any # What they are bound to from now on
    --dry-run # Open every file, and change nothing
    --no-verify # Do not try whether the new key service opens what is under it
    --journal: path # File that says what was migrated
    --config: path # File that names the key services
]: nothing -> record {
    let dry = if $dry_run { ["-dry-run"] } else { [] }
    let unverified = if $no_verify { ["-no-verify"] } else { [] }
    let arguments = [
        migrate ...(flag from $from) ...(flag to $to) ...(flag key $key) ...(context context $context)
        ...(context new-context $new_context) ...$dry ...$unverified
        ...(flag journal $journal) ...(flag config $config) $tree
    ]
    # What was not migrated stands in the record, beside the exit code.
    let binary = $env.SECRETUM_BIN? | default "secretum"
    let done = ^$binary kms ...$arguments "-format=json" | complete
    if ($done.stdout | is-empty) {
        error make --unspanned {msg: ($done.stderr | str trim)}
    }
    let report = $done.stdout | from json
    if $report.stopped != null {
        let counts = $"($report.migrated) of ($report.files) files migrated, ($report.left) left"
        error make --unspanned {msg: $"stopped: ($report.stopped); ($counts)"}
    }
    $report
}
