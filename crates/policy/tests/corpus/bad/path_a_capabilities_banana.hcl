{"path":{"a":{"capabilities":["banana"]}}}
