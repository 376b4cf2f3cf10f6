# Answers for Elixir's Dotenvy: a line is a file in hexadecimal, the answer a JSON object, or null
# for a file that is rejected.
defmodule Oracle do
  def json(nil), do: "null"
  def json(map) do
    inner = map |> Enum.map(fn {k, v} -> text(k) <> ":" <> text(v) end) |> Enum.join(",")
    "{" <> inner <> "}"
  end

  # Byte by byte: what is not UTF-8 is shown as U+FFFD.
  defp text(binary), do: "\"" <> escape(binary, "") <> "\""
  defp escape("", acc), do: acc
  defp escape(<<c::utf8, rest::binary>>, acc) when c < 0x20 or c in [?", ?\\] or c > 0x7E do
    units = for <<unit::16 <- :unicode.characters_to_binary([c], :utf8, {:utf16, :big})>>, do: unit
    hex = Enum.map_join(units, fn unit -> "\\u" <> String.pad_leading(Integer.to_string(unit, 16), 4, "0") end)
    escape(rest, acc <> hex)
  end
  defp escape(<<c::utf8, rest::binary>>, acc), do: escape(rest, acc <> <<c::utf8>>)
  defp escape(<<_, rest::binary>>, acc), do: escape(rest, acc <> "\\uFFFD")
end

for line <- IO.stream(:stdio, :line) do
  answer =
    try do
      case Dotenvy.Parser.parse(Base.decode16!(String.trim(line), case: :lower), %{}) do
        {:ok, vars} -> vars
        _ -> nil
      end
    rescue
      _ -> nil
    end

  IO.puts(Oracle.json(answer))
end
