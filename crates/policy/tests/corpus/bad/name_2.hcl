name={}
