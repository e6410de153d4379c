{"name":"x","path":{}}
