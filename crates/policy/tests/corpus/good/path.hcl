path = {}
