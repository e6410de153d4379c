{"path":1}
