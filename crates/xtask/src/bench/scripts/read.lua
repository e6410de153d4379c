-- Reads of any of the secrets.
local common = require("common")

function request()
  return common.get(common.any_path())
end
