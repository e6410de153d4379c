-- What the scripts share: the secrets, the random paths, and the line that load.rs reads.

local common = {}

common.mount = os.getenv("BENCH_MOUNT")
common.token = os.getenv("BENCH_TOKEN")
common.secrets = tonumber(os.getenv("BENCH_SECRETS"))

-- A secret of 1 KiB.
local letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
local value = {}
for i = 1, 1024 do
  local at = (i * 7919 + i * i) % #letters + 1
  value[i] = letters:sub(at, at)
end
local body = '{"data":{"value":"' .. table.concat(value) .. '"}}'

local head = " HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Vault-Token: " .. common.token .. "\r\n"

-- The path of a secret: a hundred folders.
function common.path(number)
  return "/v1/" .. common.mount .. "/data/folder-" .. number % 100 .. "/secret-" .. number
end

function common.any_path()
  return common.path(math.random(0, common.secrets - 1))
end

function common.get(path)
  return "GET " .. path .. head .. "\r\n"
end

function common.put(path)
  return "PUT " .. path .. head .. "Content-Length: " .. #body .. "\r\n\r\n" .. body
end

-- Each thread draws paths of its own.
local threads = 0
function setup(thread)
  threads = threads + 1
  thread:set("seed", threads)
end

function init(_)
  math.randomseed(seed)
end

-- Requests, microseconds of all, of p50 and of p99, errors.
function done(summary, latency, _)
  local errors = summary.errors
  local failed = errors.connect + errors.read + errors.write + errors.status + errors.timeout
  io.write(string.format("RESULT %d %d %d %d %d\n", summary.requests, summary.duration,
    latency:percentile(50), latency:percentile(99), failed))
end

return common
