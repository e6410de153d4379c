bad=1
