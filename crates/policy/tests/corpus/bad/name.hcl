name{}
