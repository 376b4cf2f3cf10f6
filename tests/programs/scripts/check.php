<?php
// check.php NAME DIGEST [COMMAND ARGUMENT...]: see ../c/check.c.
[, $name, $digest] = $argv;
$command = array_slice($argv, 3);
$value = getenv($name);
fwrite(STDOUT, ($value === false ? "missing" : (hash("sha256", $value) === $digest ? "seen" : "different")) . "\n");
if ($command) {
    $process = proc_open($command, [STDIN, STDOUT, STDERR], $pipes);
    exit(proc_close($process));
}
stream_get_contents(STDIN);
