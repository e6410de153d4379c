-- Makes tokens that live for ten minutes.
local common = require("common")

local create = common.send("PUT", "/v1/auth/token/create", '{"policies":["default"],"ttl":"10m"}')

function request()
  return create
end
