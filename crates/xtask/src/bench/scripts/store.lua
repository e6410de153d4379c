-- Stores every secret once.
local common = require("common")

common.once_each(common.secrets, function(number)
  return common.put(common.path(number))
end)
