// Makes each photo 400 pixels wide: node eleventy.mjs PHOTOS OUTPUT
import { readdirSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";

const [photos, outputDir] = process.argv.slice(2);
const { default: Image } = await import(createRequire(join(process.cwd(), "x.js")).resolve("@11ty/eleventy-img"));

await Promise.all(readdirSync(photos).map(async (name) => {
	try {
		const formats = [name.startsWith("jpeg-") ? "jpeg" : "auto"];
		const made = await Image(join(photos, name), { widths: [400], formats, outputDir, urlPath: "/" });
		console.log(`${name}|${Object.values(made)[0][0].filename}`);
	} catch (error) {
		console.log(`${name}|!${String(error.message).split("\n")[0]}`);
	}
}));
