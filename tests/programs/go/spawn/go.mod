module envward.test/spawn

go 1.19
