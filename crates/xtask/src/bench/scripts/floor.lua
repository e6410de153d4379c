-- The bare HTTP stack.
local common = require("common")

local constant = common.get("/")

function request()
  return constant
end
