name="x" name="y"
