// Makes pictures of five widths with eleventy-img: node picture.mjs FORMATS PHOTOS OUTPUT [AVIF-EFFORT AVIF-QUALITY]
import { readdirSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";

const [formats, photos, outputDir, effort, quality] = process.argv.slice(2);
const { default: Image } = await import(createRequire(join(process.cwd(), "x.js")).resolve("@11ty/eleventy-img"));

const options = {
	widths: [400, 600, 800, 1200, 1600],
	formats: formats.toLowerCase().split(","),
	// With an effort, at the other qualities of this library's defaults.
	...(effort
		? {
				sharpAvifOptions: { effort: Number(effort), quality: Number(quality) },
				sharpWebpOptions: { quality: 79 },
				sharpJpegOptions: { quality: 80, progressive: true },
			}
		: {}),
	outputDir,
	urlPath: "/",
	useCache: false,
};
const names = readdirSync(photos).filter((name) => name.endsWith(".jpg"));
await Promise.all(names.map((name) => Image(join(photos, name), options)));
