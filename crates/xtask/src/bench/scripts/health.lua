-- sys/health: no token is looked up, nothing is read, nothing is audited.
local common = require("common")

local health = common.get("/v1/sys/health")

function request()
  return health
end
