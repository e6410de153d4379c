name=1
