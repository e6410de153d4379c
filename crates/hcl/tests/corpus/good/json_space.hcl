
	 {"path"
:{"a" : { "capabilities":["read" , "list"] } } }

