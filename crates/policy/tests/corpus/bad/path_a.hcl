{"path":"a"}
