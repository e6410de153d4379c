path = [] 
