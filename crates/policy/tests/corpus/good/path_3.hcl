path {}
