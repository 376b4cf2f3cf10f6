module envward.test/check

go 1.19
