name=["x"]
