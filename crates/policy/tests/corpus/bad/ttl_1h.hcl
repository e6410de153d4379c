ttl="1h"
