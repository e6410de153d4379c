-- New versions of any of the secrets.
local common = require("common")

function request()
  return common.put(common.any_path())
end
