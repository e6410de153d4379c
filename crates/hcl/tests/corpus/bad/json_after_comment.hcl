# c
{"path": {}}