// Pregenerates with eleventy-img: node eleventy.mjs JOB PHOTOS OUTPUT
import { readdirSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";

const [job, photos, outputDir] = process.argv.slice(2);
const { default: Image } = await import(createRequire(join(process.cwd(), "x.js")).resolve("@11ty/eleventy-img"));

const fill = {
	widths: ["auto"],
	formats: ["jpeg"],
	transform: (sharp) => sharp.resize(400, 300),
	sharpJpegOptions: { quality: 80, progressive: true },
};
const widths = { widths: [400, 800, 1200], formats: ["webp"], sharpWebpOptions: { quality: 80, effort: 4 } };

const options = { ...(job === "fill" ? fill : widths), outputDir, urlPath: "/", useCache: false };
const names = readdirSync(photos).filter((name) => name.endsWith(".jpg"));
await Promise.all(names.map((name) => Image(join(photos, name), options)));
