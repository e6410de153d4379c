{"path":{"a":{"bad":1}}}
