expiration="2030-01-02T15:04:05Z"
