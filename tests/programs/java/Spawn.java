import java.io.File;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;

/** Spawn PROGRAM ARGUMENT...: starts it many times at once, and holds. */
public final class Spawn {
    private static boolean sees(String[] command) throws Exception {
        Process process = new ProcessBuilder(command)
            .redirectInput(new File("/dev/null"))
            .redirectError(ProcessBuilder.Redirect.INHERIT)
            .start();
        byte[] output = process.getInputStream().readAllBytes();
        return process.waitFor() == 0 && Arrays.equals(output, "seen\n".getBytes());
    }

    public static void main(String[] command) throws Exception {
        ExecutorService pool = Executors.newFixedThreadPool(8);
        List<Callable<Boolean>> work = new ArrayList<>();
        for (int i = 0; i < 20; i++) {
            work.add(() -> sees(command));
        }
        int seen = 0;
        for (Future<Boolean> result : pool.invokeAll(work)) {
            seen += result.get() ? 1 : 0;
        }
        pool.shutdown();
        System.out.println(seen + " children have seen it");
        System.out.flush();
        while (System.in.read() >= 0) {
        }
    }
}
