#![doc = "The raw Linux ABI that envward needs, one safe wrapper per operation."]
