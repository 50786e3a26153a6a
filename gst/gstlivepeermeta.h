#pragma once

#include "gst/gstlivepeerprelude.h"

G_BEGIN_DECLS

/**
 * GstLivepeerUpscaleFlags:
 * @GST_LIVEPEER_UPSCALE_INFERRED: the model computed at least a region of the frame
 * @GST_LIVEPEER_UPSCALE_REUSED: at least a region of the frame is that of the frame before
 * @GST_LIVEPEER_UPSCALE_LATE: there was no time to compute the frame
 * @GST_LIVEPEER_UPSCALE_SCALED: the frame was scaled plainly
 * @GST_LIVEPEER_UPSCALE_NSFW: the safety checker flagged the frame
 */
typedef enum {
  GST_LIVEPEER_UPSCALE_INFERRED = 1 << 0,
  GST_LIVEPEER_UPSCALE_REUSED = 1 << 1,
  GST_LIVEPEER_UPSCALE_LATE = 1 << 2,
  GST_LIVEPEER_UPSCALE_SCALED = 1 << 3,
  GST_LIVEPEER_UPSCALE_NSFW = 1 << 4,
} GstLivepeerUpscaleFlags;

/**
 * GstLivepeerUpscaleMeta:
 * @seed: the seed of the noise
 * @steps: denoising steps
 * @guidance_scale: weight of the prompt against the negative prompt
 * @noise_level: noise added to the input
 * @noise_temperature: scale of the start noise
 * @prompt: what the frame was upscaled with
 * @negative_prompt: what it was steered away from
 * @model: id of the model
 * @time: what the engine spent on the frame
 * @flags: what became of the frame
 * @nsfw_score: the safety checker's score, 0 without a check
 *
 * What the element did to a frame.
 */
typedef struct {
  GstMeta meta;

  guint64 seed;
  guint steps;
  gdouble guidance_scale;
  gint noise_level;
  gdouble noise_temperature;
  gchar *prompt;
  gchar *negative_prompt;
  gchar *model;
  GstClockTime time;
  GstLivepeerUpscaleFlags flags;
  gdouble nsfw_score;
} GstLivepeerUpscaleMeta;

GST_LIVEPEER_API
GType gst_livepeer_upscale_meta_api_get_type(void);
#define GST_LIVEPEER_UPSCALE_META_API_TYPE (gst_livepeer_upscale_meta_api_get_type())

/** Since GStreamer 1.24 the meta can be serialized. A process that gets it from another one, by
 * unixfdsrc for example, has to call this before the first buffer comes. */
GST_LIVEPEER_API
const GstMetaInfo *gst_livepeer_upscale_meta_get_info(void);

/** Adds an empty meta; its strings belong to it and are freed with g_free(). */
GST_LIVEPEER_API
GstLivepeerUpscaleMeta *gst_buffer_add_livepeer_upscale_meta(GstBuffer *buffer);

/** The buffer's meta, or %NULL. */
GST_LIVEPEER_API
GstLivepeerUpscaleMeta *gst_buffer_get_livepeer_upscale_meta(GstBuffer *buffer);

G_END_DECLS
