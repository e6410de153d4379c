path "a" {capabilities=["subscribe"] subscribe_event_types=["*"]}
