-- Encrypts 32 bytes, which is a data key.
require("common")

local body = '{"plaintext":"MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=","context":"env=prod"}'
local whole = "POST /api/v1/kms/encrypt HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
  .. "Content-Length: " .. #body .. "\r\n\r\n" .. body

function request()
  return whole
end
