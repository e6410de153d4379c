-- Stores ten thousand small secrets in one folder.
local common = require("common")

common.once_each(10000, function(number)
  local path = "/v1/" .. common.mount .. "/data/names/secret-" .. number
  return common.send("PUT", path, '{"data":{}}')
end)
