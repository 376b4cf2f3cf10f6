# Answers for Ruby's dotenv: a line is a file in hexadecimal, the answer a JSON object, or null
# for a file that is rejected.
require "json"
require "tempfile"
require "dotenv"

ENV.delete_if { |name, _| name != "PATH" }
$stderr.reopen(File::NULL)
$stdin.each_line do |line|
  file = Tempfile.new("env")
  file.binmode
  file.write([line.strip].pack("H*"))
  file.close
  answer = begin
    Dotenv.parse(file.path)
  rescue SyntaxError, StandardError
    nil
  end
  file.unlink
  puts JSON.generate(answer)
  $stdout.flush
end
