/** Small samples of what a prompt is made of, none of them among the texts that the estimator was fitted to. */
export const corpus = {
  english: [
    `When the build fails, start with the first error and ignore the rest, because most of them are its echoes. Read the
message slowly, find the file and the line, and ask what changed there since it last worked. If nothing did, look at the
dependencies: a version that floats is a version that will surprise you on a Friday afternoon. Write the failing case
down as a test before you touch anything, then make the smallest change that turns it green. Only after that is it time
to tidy up, and only if the tidying makes the next reader's life easier.`,
    `The harbour was quiet at that hour. Two gulls argued over a crust on the quay, and somewhere behind the warehouses a
generator coughed itself awake. Marta counted the crates for the third time and came, for the third time, to nineteen.
There ought to have been twenty. She wrote the number in her notebook, underlined it, and looked out at the grey water
as if the missing crate might come drifting back, apologising for the delay.`,
    `You are a coding assistant that works in a terminal. Keep your answers short. Before you edit a file, read it. Never
run a command that deletes data without asking first. When the user asks for a plan, give a numbered list of at most
seven steps; when they ask for a change, make it and then run the tests. If a test fails twice for the same reason, stop
and explain what you have learned.

# Tools
- Use \`read_file\` to look at a file; it returns at most 2,000 lines.
- Use \`run_command\` for everything else, e.g. \`git status\` or \`npm test\`.`,
  ],
  chinese: [
    `请先阅读项目根目录下的说明文件，然后告诉我这个服务是怎样启动的。如果发现配置里有明显的错误，请直接修改，并且在提交信息中写清楚原因。
注意不要删除任何用户数据，也不要改动数据库的表结构。完成之后运行全部测试，把失败的用例列出来，我会在下午三点之前回复你。`,
    `这篇文章讨论了分布式系统中的一致性问题。作者认为，在网络不可靠的环境里，系统必须在可用性和一致性之间做出选择。为了说明这一点，
文中举了一个银行转账的例子：两个节点同时收到请求，但是它们之间的连接已经中断，此时无论怎么处理都会有一方得到错误的结果。
因此，设计者应当根据业务的需要来决定，而不是盲目追求完美。`,
    `昨天晚上下了一场大雨，早晨的空气特别新鲜。我沿着河边慢慢走，看见几位老人在树下打太极拳，旁边的孩子正在喂鸽子。
路过早餐店的时候，老板笑着问我要不要来一碗热豆浆。我坐下来，一边喝豆浆一边看报纸，觉得这样的生活简单而又满足。`,
    `运行测试时出现了空指针异常，堆栈显示问题在用户服务的第四十二行。请检查数据库连接是否已经关闭，如果是连接池配置的问题，
把最大连接数调整为五十，然后重新部署到测试环境，确认接口返回正常以后再合并分支。`,
    `帮我写一个命令行工具，读取指定目录中的图片，按照拍摄日期重新命名，并且支持预览模式。要求：不能覆盖已有的文件；
遇到没有日期信息的图片时，使用文件的修改时间；最后输出一份统计结果，包括成功、跳过和失败的数量。`,
  ],
  code: [
    `export async function retry<T>(operation: () => Promise<T>, options: RetryOptions): Promise<T> {
  let lastError: unknown;
  for (let attempt = 1; attempt <= options.maxAttempts; attempt++) {
    try {
      return await operation();
    } catch (error) {
      lastError = error;
      if (!options.isRetryable(error) || attempt === options.maxAttempts) break;
      const delayMs = Math.min(options.maxDelayMs, options.baseDelayMs * 2 ** (attempt - 1));
      await options.sleep(delayMs * (1 + options.random() * 0.2));
    }
  }
  throw lastError;
}`,
    `def load_orders(path: str, since: datetime | None = None) -> list[Order]:
    """Read orders from a CSV file, newest first."""
    orders = []
    with open(path, newline="", encoding="utf-8") as handle:
        for row in csv.DictReader(handle):
            created_at = datetime.fromisoformat(row["created_at"])
            if since is not None and created_at < since:
                continue
            orders.append(Order(id=int(row["id"]), total=Decimal(row["total"]), created_at=created_at))
    return sorted(orders, key=lambda order: order.created_at, reverse=True)


if __name__ == "__main__":
    for order in load_orders(sys.argv[1]):
        print(f"{order.id:>8} {order.total:10.2f}")`,
    `func (s *Server) handleUpload(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, maxUploadBytes)
	file, header, err := r.FormFile("file")
	if err != nil {
		http.Error(w, "bad upload", http.StatusBadRequest)
		return
	}
	defer file.Close()
	sum := sha256.New()
	if _, err := io.Copy(sum, file); err != nil {
		s.log.Printf("upload %s: %v", header.Filename, err)
		http.Error(w, "internal error", http.StatusInternalServerError)
		return
	}
	fmt.Fprintf(w, "%x  %s\\n", sum.Sum(nil), header.Filename)
}`,
  ],
  json: [
    JSON.stringify({
      type: "object",
      properties: {
        file_path: { type: "string", description: "The absolute path to the file to modify" },
        old_string: { type: "string", description: "The text to replace" },
        new_string: { type: "string", description: "The text to replace it with" },
        replace_all: { type: "boolean", default: false, description: "Replace every occurrence" },
        limit: { type: "integer", exclusiveMinimum: 0, maximum: 9007199254740991 },
      },
      required: ["file_path", "old_string", "new_string"],
      additionalProperties: false,
      $schema: "http://json-schema.org/draft-07/schema#",
    }),
    JSON.stringify(
      Array.from({ length: 6 }, (_, index) => ({
        id: 1042 + index,
        name: ["Ada", "Grace", "Linus", "Barbara", "Ken", "Margaret"][index],
        email: `user${index}@example.com`,
        active: index % 2 === 0,
        tags: ["admin", "beta"],
        createdAt: `2025-0${index + 1}-17T08:3${index}:00Z`,
      })),
      null,
      2,
    ),
    JSON.stringify({
      jsonrpc: "2.0",
      id: 7,
      result: {
        content: [
          {
            type: "text",
            text: "src/index.ts:12:5 - error TS2322: Type 'string' is not assignable to type 'number'.\n\nFound 1 error.",
          },
        ],
        isError: false,
        _meta: { durationMs: 1873, exitCode: 2, cwd: "/home/dev/projects/shop" },
      },
    }),
  ],
};
