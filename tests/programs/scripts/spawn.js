// spawn.js NAME DIGEST PROGRAM [ARGUMENT...]: starts PROGRAM in all the ways
// that Node has, many at once, and holds.
const { exec, execFile, fork, spawn } = require("child_process");

if (process.argv[2] === "--forked") {
    // A second Node, started by fork().
    const [, , , program, ...rest] = process.argv;
    spawn(program, rest, { stdio: ["ignore", "inherit", "inherit"] }).on("exit", (code) => process.exit(code));
} else {
    const [name, digest, program, ...rest] = process.argv.slice(2);
    let seen = 0;
    const done = [];
    const count = (resolve) => (error, stdout) => {
        seen += !error && stdout === "seen\n";
        resolve();
    };
    for (let i = 0; i < 10; i++) {
        done.push(new Promise((resolve) => execFile(program, rest, count(resolve)).stdin.end()));
        done.push(new Promise((resolve) => exec([program, ...rest].join(" "), count(resolve)).stdin.end()));
        done.push(new Promise((resolve) => {
            const options = { env: { ...process.env }, stdio: ["ignore", "pipe", "inherit"] };
            let text = "";
            const child = spawn(program, rest, options);
            child.stdout.on("data", (data) => { text += data; });
            child.on("close", (code) => count(resolve)(code, text));
        }));
    }
    for (let i = 0; i < 3; i++) {
        done.push(new Promise((resolve) => {
            let text = "";
            const child = fork(__filename, ["--forked", program, ...rest], { silent: true });
            child.stdout.on("data", (data) => { text += data; });
            child.on("close", (code) => count(resolve)(code, text));
        }));
    }
    Promise.all(done).then(() => {
        require("fs").writeSync(1, seen + " children have seen it\n");
        process.stdin.resume();
        process.stdin.on("end", () => process.exit(0));
    });
}
