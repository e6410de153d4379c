path "a" {pagination_limit="x"}
