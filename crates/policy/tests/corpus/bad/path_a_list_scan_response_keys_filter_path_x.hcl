path "a" {list_scan_response_keys_filter_path="x"}
