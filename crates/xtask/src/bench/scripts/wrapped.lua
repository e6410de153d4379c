-- Reads of any of the secrets, each behind a token that can be unwrapped once.
local common = require("common")

function request()
  return common.get(common.any_path(), "X-Vault-Wrap-TTL: 600\r\n")
end
