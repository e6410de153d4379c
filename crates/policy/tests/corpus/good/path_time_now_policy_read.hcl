path "{{time.now}}" {policy="read"}
