-- Looks up the token that asks.
local common = require("common")

local lookup = common.get("/v1/auth/token/lookup-self")

function request()
  return lookup
end
