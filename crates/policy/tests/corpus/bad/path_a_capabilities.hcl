path "a" {capabilities=[""]}
