-- Stores every secret once, then ends the process.
--
-- Connections that have nothing more to store ask for a secret that is not there, whose 404 tells its
-- answer from those that count.
local common = require("common")

-- After so many of those, an answer that is still missing will not come.
local patience = 10000

local nothing = common.get(common.path(common.secrets))
local stored, idle = 0, 0
-- wrk makes one request before it starts, to look at it; that one is not sent.
local asked = -1

function request()
  if asked == common.secrets then
    return nothing
  end
  asked = asked + 1
  return common.put(common.path(asked - 1))
end

local function refuse(...)
  io.write(...)
  os.exit(1)
end

function response(status, _, body)
  if status == 200 then
    stored = stored + 1
  elseif status == 404 then
    idle = idle + 1
  else
    refuse("a secret was refused with status ", status, ": ", body, "\n")
  end
  if stored == common.secrets then
    os.exit(0)
  elseif idle > patience then
    refuse("only ", stored, " secrets were stored: some requests had no answer\n")
  end
end

-- Reached when the time is over.
function done(_, _, _)
  refuse("the time was over before every secret was stored\n")
end
