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

-- The head of a request behind its path, its last line open.
local head = " HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Vault-Token: " .. common.token .. "\r\n"

-- The path of a secret: a hundred folders.
function common.path(number)
  return "/v1/" .. common.mount .. "/data/folder-" .. number % 100 .. "/secret-" .. number
end

function common.any_path()
  return common.path(math.random(0, common.secrets - 1))
end

function common.get(path, more)
  return "GET " .. path .. head .. (more or "") .. "\r\n"
end

function common.send(method, path, content)
  return method .. " " .. path .. head .. "Content-Length: " .. #content .. "\r\n\r\n" .. content
end

function common.put(path)
  return common.send("PUT", path, body)
end

-- Makes requests number 0 to `count` - 1 once each, then ends the process.
--
-- Connections that have nothing more to ask for ask for a secret that is not there, whose 404 tells its
-- answer from those that count. There is one thread.
function common.once_each(count, make)
  -- After so many of those, an answer that is still missing will not come.
  local patience = 10000
  local nothing = common.get(common.path(common.secrets))
  local done, idle = 0, 0
  -- wrk makes one request before it starts, to look at it; that one is not sent.
  local asked = -1

  local function refuse(...)
    io.write(...)
    os.exit(1)
  end

  function request()
    if asked == count then
      return nothing
    end
    asked = asked + 1
    return make(asked - 1)
  end

  function response(status, _, answer)
    if status == 200 or status == 204 then
      done = done + 1
    elseif status == 404 then
      idle = idle + 1
    else
      refuse("a request was refused with status ", status, ": ", answer, "\n")
    end
    if done == count then
      os.exit(0)
    elseif idle > patience then
      refuse("only ", done, " requests of ", count, " were answered\n")
    end
  end

  -- Reached when the time is over.
  function _G.done(_, _, _)
    refuse("the time was over before all was asked for\n")
  end
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
function _G.done(summary, latency, _)
  local errors = summary.errors
  local failed = errors.connect + errors.read + errors.write + errors.status + errors.timeout
  io.write(string.format("RESULT %d %d %d %d %d\n", summary.requests, summary.duration,
    latency:percentile(50), latency:percentile(99), failed))
end

return common
