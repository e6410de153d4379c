path "a" {capabilities=["banana","deny"]}
