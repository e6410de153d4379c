-- Makes a million tokens that live for a day.
local common = require("common")

local create = common.send("PUT", "/v1/auth/token/create", '{"policies":["default"],"ttl":"24h"}')

common.once_each(1000000, function(_)
  return create
end)
