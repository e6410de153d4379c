-- Lists a folder of ten thousand names.
local common = require("common")

local list = common.get("/v1/" .. common.mount .. "/metadata/names?list=true")

function request()
  return list
end
