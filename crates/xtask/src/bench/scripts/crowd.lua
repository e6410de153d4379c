-- Makes ten thousand mounts, and a hundred thousand policies.
local common = require("common")

local rule = [[{"policy":"path \"crowd-%d/*\" { capabilities = [\"read\"] }"}]]

common.once_each(110000, function(number)
  if number < 10000 then
    return common.send("PUT", "/v1/sys/mounts/crowd-" .. number, '{"type":"kv"}')
  end
  return common.send("PUT", "/v1/sys/policies/acl/crowd-" .. number, rule:format(number))
end)
