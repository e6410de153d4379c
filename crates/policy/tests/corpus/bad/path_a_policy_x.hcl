path "a" {policy "x" {}}
